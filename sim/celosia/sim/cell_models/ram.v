// What the block RAMs of ECP5 and Gowin have in common, for their models.

// Two ports, each of 16384 x 1 to 512 x 32 bits, or x 36 where a byte has nine. The low address
// bits of a word of two or four bytes are its byte enables. While a port writes, its output keeps
// its value (MODE 0), shows the new word (1) or the old one (2). Reading what the other port writes
// in the same cycle gives no promised value: here its inverse.
module CELOSIA_RAM #(
    parameter BYTE = 8, WIDTH_A = 32, WIDTH_B = 32, MODE_A = 0, MODE_B = 0,
    parameter RESET_MODE = "SYNC",  // otherwise the resets must be low
    parameter [64*32*BYTE-1:0] INIT = 0,
    localparam WORD = 4 * BYTE
) (
    input clk_a, enable_a, write_a, reset_a, input [13:0] address_a, input [WORD-1:0] data_a,
    input clk_b, enable_b, write_b, reset_b, input [13:0] address_b, input [WORD-1:0] data_b,
    output reg [WORD-1:0] q_a, q_b
);
    reg [WORD-1:0] words [0:511];
    integer i;
    initial begin
        for (i = 0; i < 512; i = i + 1) words[i] = INIT[i * WORD +: WORD];
        q_a = 0;
        q_b = 0;
    end

    // Place of an access in a word: addresses count the bits that both kinds of byte have.
    function [5:0] place(input [31:0] width, input [13:0] address);
        if (width >= WORD) place = 0;
        else if (width >= 2 * BYTE) place = address[4] * 2 * BYTE;
        else if (width >= BYTE) place = address[4:3] * BYTE;
        else place = address[4:3] * BYTE + (address[2:0] & ~(width[2:0] - 3'd1));
    endfunction
    // Bits of a word that a write touches.
    function [WORD-1:0] touched(input [31:0] width, input [13:0] address);
        if (width >= WORD)
            touched = {{BYTE{address[3]}}, {BYTE{address[2]}}, {BYTE{address[1]}},
                       {BYTE{address[0]}}};
        else if (width >= 2 * BYTE)
            touched = {{BYTE{address[1]}}, {BYTE{address[0]}}} << place(width, address);
        else touched = ((1 << width) - 1) << place(width, address);
    endfunction

    wire [8:0] word_a = address_a[13:5], word_b = address_b[13:5];
    wire same = word_a == word_b;
    wire [WORD-1:0] mask_a = enable_a & write_a ? touched(WIDTH_A, address_a) : 0;
    wire [WORD-1:0] mask_b = enable_b & write_b ? touched(WIDTH_B, address_b) : 0;
    wire [WORD-1:0] shifted_a = data_a << place(WIDTH_A, address_a);
    wire [WORD-1:0] shifted_b = data_b << place(WIDTH_B, address_b);
    wire [WORD-1:0] old_a = words[word_a], old_b = words[word_b];
    wire [WORD-1:0] new_a = (old_a & ~mask_a) | (shifted_a & mask_a);
    wire [WORD-1:0] new_b = (old_b & ~mask_b) | (shifted_b & mask_b);
    always @(posedge clk_a)
        if (RESET_MODE != "SYNC" && (reset_a || reset_b))
            $fatal(1, "block RAM: its asynchronous reset has no model");
    always @(posedge clk_a) begin
        if (|mask_a) words[word_a] <= new_a;
        if (reset_a) q_a <= 0;
        else if (enable_a & ~write_a)
            q_a <= (old_a ^ (same ? mask_b : 0)) >> place(WIDTH_A, address_a);
        else if (enable_a && MODE_A != 0)
            q_a <= (MODE_A == 1 ? new_a : old_a) >> place(WIDTH_A, address_a);
    end
    always @(posedge clk_b) begin
        if (|mask_b) words[word_b] <= new_b;
        if (reset_b) q_b <= 0;
        else if (enable_b & ~write_b)
            q_b <= (old_b ^ (same ? mask_a : 0)) >> place(WIDTH_B, address_b);
        else if (enable_b && MODE_B != 0)
            q_b <= (MODE_B == 1 ? new_b : old_b) >> place(WIDTH_B, address_b);
    end
endmodule
