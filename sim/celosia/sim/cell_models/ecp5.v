// Behaviour of the ECP5's multiplier, block RAM and clock buffer, which Yosys has as black boxes only.
//
// Multiplier: Lattice's FPGA-TN-02205, ECP5 sysDSP usage guide. RAM: what Yosys' mapping to it
// states (share/lattice/brams_16kd.txt, brams_map_16kd.v). Settings that neither Yosys nor our
// gateware uses end the simulation. The models are held to plain arithmetic and memories in
// tests/cosim/test_gate_level.py.

// 18 x 18 bits with optional registers at A, B and the output, each with one of four enables.
// The registers' resets and the shift chains aren't modelled: they must be tied low.
module MULT18X18D #(
    parameter REG_INPUTA_CLK = "NONE", REG_INPUTA_CE = "CE0", REG_INPUTA_RST = "RST0",
    parameter REG_INPUTB_CLK = "NONE", REG_INPUTB_CE = "CE0", REG_INPUTB_RST = "RST0",
    parameter REG_INPUTC_CLK = "NONE", REG_PIPELINE_CLK = "NONE",
    parameter REG_OUTPUT_CLK = "NONE", REG_OUTPUT_CE = "CE0", REG_OUTPUT_RST = "RST0",
    parameter MULT_BYPASS = "DISABLED", RESETMODE = "SYNC", GSR = "ENABLED"
) (
    input
        A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
    input
        B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
    input
        C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,
    input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    input CLK0, CLK1, CLK2, CLK3, CE0, CE1, CE2, CE3, RST0, RST1, RST2, RST3,
    output
        P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
        P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
    initial if ((REG_INPUTA_CLK != "NONE" && REG_INPUTA_CLK != "CLK0")
        || (REG_INPUTB_CLK != "NONE" && REG_INPUTB_CLK != "CLK0")
        || (REG_OUTPUT_CLK != "NONE" && REG_OUTPUT_CLK != "CLK0")
        || REG_INPUTC_CLK != "NONE" || REG_PIPELINE_CLK != "NONE" || MULT_BYPASS != "DISABLED")
        $fatal(1, "MULT18X18D: these settings have no model");

    wire [3:0] enables = {CE3, CE2, CE1, CE0};
    wire enable_a = enables[REG_INPUTA_CE == "CE0" ? 0 : REG_INPUTA_CE == "CE1" ? 1 :
                            REG_INPUTA_CE == "CE2" ? 2 : 3];
    wire enable_b = enables[REG_INPUTB_CE == "CE0" ? 0 : REG_INPUTB_CE == "CE1" ? 1 :
                            REG_INPUTB_CE == "CE2" ? 2 : 3];
    wire enable_p = enables[REG_OUTPUT_CE == "CE0" ? 0 : REG_OUTPUT_CE == "CE1" ? 1 :
                            REG_OUTPUT_CE == "CE2" ? 2 : 3];
    wire [17:0] in_a = {
        A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0};
    wire [17:0] in_b = {
        B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0};
    reg [17:0] held_a, held_b;
    always @(posedge CLK0) begin
        if (enable_a) held_a <= in_a;
        if (enable_b) held_b <= in_b;
    end
    wire [17:0] a = REG_INPUTA_CLK == "NONE" ? in_a : held_a;
    wire [17:0] b = REG_INPUTB_CLK == "NONE" ? in_b : held_b;
    wire [35:0] wide_a = {{18{SIGNEDA & a[17]}}, a};
    wire [35:0] wide_b = {{18{SIGNEDB & b[17]}}, b};
    wire [35:0] product = wide_a * wide_b;
    reg [35:0] held_p;
    always @(posedge CLK0) if (enable_p) held_p <= product;
    assign {
        P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18,
        P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0}
        = REG_OUTPUT_CLK == "NONE" ? product : held_p;
endmodule

// A port of 36 bits takes the other one's data lines as its upper half.
module DP16KD #(
    parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18, WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL",
    parameter REGMODE_A = "NOREG", REGMODE_B = "NOREG", CSDECODE_A = "0b000", CSDECODE_B = "0b000",
    parameter CLKAMUX = "CLKA", CLKBMUX = "CLKB", RESETMODE = "SYNC", GSR = "ENABLED",
    parameter ASYNC_RESET_RELEASE = "SYNC", INIT_DATA = "STATIC",
    parameter [319:0]
        INITVAL_00 = 0, INITVAL_01 = 0, INITVAL_02 = 0, INITVAL_03 = 0, INITVAL_04 = 0,
        INITVAL_05 = 0, INITVAL_06 = 0, INITVAL_07 = 0, INITVAL_08 = 0, INITVAL_09 = 0,
        INITVAL_0A = 0, INITVAL_0B = 0, INITVAL_0C = 0, INITVAL_0D = 0, INITVAL_0E = 0,
        INITVAL_0F = 0, INITVAL_10 = 0, INITVAL_11 = 0, INITVAL_12 = 0, INITVAL_13 = 0,
        INITVAL_14 = 0, INITVAL_15 = 0, INITVAL_16 = 0, INITVAL_17 = 0, INITVAL_18 = 0,
        INITVAL_19 = 0, INITVAL_1A = 0, INITVAL_1B = 0, INITVAL_1C = 0, INITVAL_1D = 0,
        INITVAL_1E = 0, INITVAL_1F = 0, INITVAL_20 = 0, INITVAL_21 = 0, INITVAL_22 = 0,
        INITVAL_23 = 0, INITVAL_24 = 0, INITVAL_25 = 0, INITVAL_26 = 0, INITVAL_27 = 0,
        INITVAL_28 = 0, INITVAL_29 = 0, INITVAL_2A = 0, INITVAL_2B = 0, INITVAL_2C = 0,
        INITVAL_2D = 0, INITVAL_2E = 0, INITVAL_2F = 0, INITVAL_30 = 0, INITVAL_31 = 0,
        INITVAL_32 = 0, INITVAL_33 = 0, INITVAL_34 = 0, INITVAL_35 = 0, INITVAL_36 = 0,
        INITVAL_37 = 0, INITVAL_38 = 0, INITVAL_39 = 0, INITVAL_3A = 0, INITVAL_3B = 0,
        INITVAL_3C = 0, INITVAL_3D = 0, INITVAL_3E = 0, INITVAL_3F = 0
) (
    input CLKA, CEA, OCEA, WEA, RSTA, CSA2, CSA1, CSA0,
    input
        ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    input
        DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5,
        DIA4, DIA3, DIA2, DIA1, DIA0,
    output
        DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5,
        DOA4, DOA3, DOA2, DOA1, DOA0,
    input CLKB, CEB, OCEB, WEB, RSTB, CSB2, CSB1, CSB0,
    input
        ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    input
        DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5,
        DIB4, DIB3, DIB2, DIB1, DIB0,
    output
        DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5,
        DOB4, DOB3, DOB2, DOB1, DOB0
);
    initial if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG"
        || CSDECODE_A != "0b000" || CSDECODE_B != "0b000"
        || CLKAMUX != "CLKA" || CLKBMUX != "CLKB")
        $fatal(1, "DP16KD: these settings have no model");

    function [287:0] words(input [319:0] content);
        integer i;
        for (i = 0; i < 16; i = i + 1) words[i * 18 +: 18] = content[i * 20 +: 18];
    endfunction
    wire [35:0] q_a, q_b;
    localparam
        MODE_A = WRITEMODE_A == "NORMAL" ? 0 : WRITEMODE_A == "WRITETHROUGH" ? 1 : 2,
        MODE_B = WRITEMODE_B == "NORMAL" ? 0 : WRITEMODE_B == "WRITETHROUGH" ? 1 : 2;
    CELOSIA_RAM #(.BYTE(9), .WIDTH_A(DATA_WIDTH_A), .WIDTH_B(DATA_WIDTH_B), .MODE_A(MODE_A),
                  .MODE_B(MODE_B), .RESET_MODE(RESETMODE), .INIT({
        words(INITVAL_3F), words(INITVAL_3E), words(INITVAL_3D), words(INITVAL_3C),
        words(INITVAL_3B), words(INITVAL_3A), words(INITVAL_39), words(INITVAL_38),
        words(INITVAL_37), words(INITVAL_36), words(INITVAL_35), words(INITVAL_34),
        words(INITVAL_33), words(INITVAL_32), words(INITVAL_31), words(INITVAL_30),
        words(INITVAL_2F), words(INITVAL_2E), words(INITVAL_2D), words(INITVAL_2C),
        words(INITVAL_2B), words(INITVAL_2A), words(INITVAL_29), words(INITVAL_28),
        words(INITVAL_27), words(INITVAL_26), words(INITVAL_25), words(INITVAL_24),
        words(INITVAL_23), words(INITVAL_22), words(INITVAL_21), words(INITVAL_20),
        words(INITVAL_1F), words(INITVAL_1E), words(INITVAL_1D), words(INITVAL_1C),
        words(INITVAL_1B), words(INITVAL_1A), words(INITVAL_19), words(INITVAL_18),
        words(INITVAL_17), words(INITVAL_16), words(INITVAL_15), words(INITVAL_14),
        words(INITVAL_13), words(INITVAL_12), words(INITVAL_11), words(INITVAL_10),
        words(INITVAL_0F), words(INITVAL_0E), words(INITVAL_0D), words(INITVAL_0C),
        words(INITVAL_0B), words(INITVAL_0A), words(INITVAL_09), words(INITVAL_08),
        words(INITVAL_07), words(INITVAL_06), words(INITVAL_05), words(INITVAL_04),
        words(INITVAL_03), words(INITVAL_02), words(INITVAL_01), words(INITVAL_00)})) ram (
        .clk_a(CLKA), .enable_a(CEA), .write_a(WEA), .reset_a(RSTA), .q_a(q_a), .address_a({
        ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0}),
        .data_a({
        DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5,
        DIB4, DIB3, DIB2, DIB1, DIB0,
        DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5,
        DIA4, DIA3, DIA2, DIA1, DIA0}),
        .clk_b(CLKB), .enable_b(CEB), .write_b(WEB), .reset_b(RSTB), .q_b(q_b), .address_b({
        ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0}),
        .data_b({18'b0,
        DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5,
        DIB4, DIB3, DIB2, DIB1, DIB0})
    );
    assign {
        DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5,
        DOA4, DOA3, DOA2, DOA1, DOA0}
        = DATA_WIDTH_B == 36 ? q_b[17:0] : q_a[17:0];
    assign {
        DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5,
        DOB4, DOB3, DOB2, DOB1, DOB0}
        = DATA_WIDTH_B == 36 ? q_b[35:18] : q_b[17:0];
endmodule

// Buffer of a clock network; that it can stop a clock isn't modelled.
module DCCA (input CLKI, CE, output CLKO);
    always @(CE) if (CE !== 1'b1) $fatal(1, "DCCA: a clock that stops has no model");
    assign CLKO = CLKI;
endmodule
