// Yosys' `techmap` for carry cells of ECP5, behind `synth_ecp5`.
//
// What isn't connected is one there, and a zero takes a wire from a cell that may be anywhere on the
// chip: one net to thousands of places. So inputs that are zero become ones, with tables that don't
// look at them. A chain begins with a cell that makes its carry of nothing, where nextpnr would
// put one that takes it from such a wire. And where nobody takes a chain's last carry, its wire has
// to go as well: nextpnr would put another cell behind it, to bring the carry out. Such cells come with
// LAST.

(* techmap_celltype = "CCU2C" *)
module _celosia_carry (
    input CIN, A0, B0, C0, D0, A1, B1, C1, D1,
    output S0, S1, COUT
);
    parameter [15:0] INIT0 = 0;
    parameter [15:0] INIT1 = 0;
    parameter INJECT1_0 = "YES";
    parameter INJECT1_1 = "YES";
    parameter LAST = 0;

    parameter _TECHMAP_CONSTVAL_CIN_ = 1'bx;
    parameter _TECHMAP_CONSTVAL_A0_ = 1'bx;
    parameter _TECHMAP_CONSTVAL_B0_ = 1'bx;
    parameter _TECHMAP_CONSTVAL_C0_ = 1'bx;
    parameter _TECHMAP_CONSTVAL_D0_ = 1'bx;
    parameter _TECHMAP_CONSTVAL_A1_ = 1'bx;
    parameter _TECHMAP_CONSTVAL_B1_ = 1'bx;
    parameter _TECHMAP_CONSTVAL_C1_ = 1'bx;
    parameter _TECHMAP_CONSTVAL_D1_ = 1'bx;

    localparam [3:0] ZEROS0 = {
        _TECHMAP_CONSTVAL_D0_ === 1'b0, _TECHMAP_CONSTVAL_C0_ === 1'b0,
        _TECHMAP_CONSTVAL_B0_ === 1'b0, _TECHMAP_CONSTVAL_A0_ === 1'b0};
    localparam [3:0] ZEROS1 = {
        _TECHMAP_CONSTVAL_D1_ === 1'b0, _TECHMAP_CONSTVAL_C1_ === 1'b0,
        _TECHMAP_CONSTVAL_B1_ === 1'b0, _TECHMAP_CONSTVAL_A1_ === 1'b0};
    localparam BEGINS = _TECHMAP_CONSTVAL_CIN_ === 1'b0 || _TECHMAP_CONSTVAL_CIN_ === 1'b1;

    wire _TECHMAP_FAIL_ = ZEROS0 == 0 && ZEROS1 == 0 && !BEGINS && !LAST;

    // An entry of a table is that of the same inputs with those that are zero taken as zeros.
    function [15:0] without(input [15:0] table_, input [3:0] zeros);
        integer place;
        for (place = 0; place < 16; place = place + 1)
            without[place] = table_[place & ~zeros];
    endfunction

    wire carry;
    generate
        if (BEGINS)
            CCU2C #(
                .INIT0(16'h0000), .INJECT1_0("YES"),
                .INIT1(_TECHMAP_CONSTVAL_CIN_ === 1'b1 ? 16'h0008 : 16'h0000), .INJECT1_1("NO")
            ) begin_ (
                .A0(1'b1), .B0(1'b1), .C0(1'b1), .D0(1'b1),
                .A1(1'b1), .B1(1'b1), .C1(1'b1), .D1(1'b1),
                .CIN(1'bx), .S0(), .S1(), .COUT(carry)
            );
        else
            assign carry = CIN;
    endgenerate

    CCU2C #(
        .INIT0(without(INIT0, ZEROS0)), .INJECT1_0(INJECT1_0),
        .INIT1(without(INIT1, ZEROS1)), .INJECT1_1(INJECT1_1)
    ) _TECHMAP_REPLACE_ (
        .CIN(carry),
        .A0(ZEROS0[0] ? 1'b1 : A0), .B0(ZEROS0[1] ? 1'b1 : B0),
        .C0(ZEROS0[2] ? 1'b1 : C0), .D0(ZEROS0[3] ? 1'b1 : D0),
        .A1(ZEROS1[0] ? 1'b1 : A1), .B1(ZEROS1[1] ? 1'b1 : B1),
        .C1(ZEROS1[2] ? 1'b1 : C1), .D1(ZEROS1[3] ? 1'b1 : D1),
        .S0(S0), .S1(S1), .COUT(LAST ? 1'bx : COUT)
    );
endmodule
