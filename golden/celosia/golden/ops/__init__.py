"""int8 operators in numpy, byte for byte those of the TFLite kernels.

Every factory here takes an operator's constants and quantisation once and returns a *kernel*: a
pure function from input arrays to the output array, quick enough to run a whole network with.
Tensors are NHWC, accumulators are int32 (they wrap as such), zero padding means the input's zero
point. The roundings are defined in `celosia.golden.quantization`; the operators' formulas are those
of the TFLite reference kernels.
"""
