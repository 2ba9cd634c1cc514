// A testbench for module celosia_wishbone in plain Verilog: it carries out the accesses of the file
// named by +stimulus (`celosia stimulus MODEL --top wishbone`), and compares every word that is read.
// Signals change just after the clock's edge, as they would from a register.
/* verilator lint_off INITIALDLY */
`timescale 1ns / 1ps

module testbench;
    parameter ADDRESS_BITS = 19;  // npu4x4: the window that `celosia verilog` names has 2^19 bytes
    parameter PATIENCE = 10_000_000;  // cycles of a poll

    reg clk = 0;
    reg rst = 1;
    always #5 clk = ~clk;

    reg cyc = 0;
    reg we = 0;
    reg [ADDRESS_BITS-1:0] address = 0;
    reg [31:0] data = 0;
    wire [31:0] answer;
    wire ack, err;

    celosia_wishbone npu (
        .clk(clk),
        .rst(rst),
        .wb__cyc(cyc),
        .wb__stb(cyc),
        .wb__we(we),
        .wb__adr(address[ADDRESS_BITS-1:2]),
        .wb__sel(4'b1111),
        .wb__dat_w(data),
        .wb__dat_r(answer),
        .wb__ack(ack),
        .wb__err(err)
    );

    // One Wishbone cycle; leaves what was read in `word`.
    reg [31:0] word;
    task access(input write, input [31:0] where, input [31:0] value);
        begin
            cyc <= 1;
            we <= write;
            address <= where[ADDRESS_BITS-1:0];
            data <= value;
            @(posedge clk);
            while (!(ack || err)) @(posedge clk);
            if (err) begin
                $display("FAIL: error at %h", where);
                $finish;
            end
            word = answer;
            cyc <= 0;
        end
    endtask

    reg [8*1024-1:0] path;
    reg [7:0] kind;
    reg [31:0] where, value;
    integer file, accesses, wrong, start;
    integer cycle = 0;
    always @(posedge clk) cycle <= cycle + 1;

    initial begin
        if (!$value$plusargs("stimulus=%s", path)) path = "stimulus.txt";
        file = $fopen(path, "r");
        if (file == 0) begin
            $display("FAIL: can't open %0s", path);
            $finish;
        end
        accesses = 0;
        wrong = 0;
        repeat (4) @(posedge clk);
        rst <= 0;
        while ($fscanf(file, "%c %h %h\n", kind, where, value) == 3) begin
            accesses = accesses + 1;
            access(kind == "w", where, value);
            if (kind == "p") begin
                start = cycle;
                while ((word & value) == 0 && cycle - start < PATIENCE) access(0, where, 0);
                if ((word & value) == 0) begin
                    $display("FAIL: no end after %0d cycles", PATIENCE);
                    $finish;
                end
                $display("ran %0d cycles, polls included", cycle - start);
            end
            if (kind == "r" && word !== value) begin
                if (wrong == 0) $display("at %h: %h, not %h", where, word, value);
                wrong = wrong + 1;
            end
        end
        if (accesses == 0 || !$feof(file)) $display("FAIL: line %0d can't be read", accesses + 1);
        else if (wrong != 0) $display("FAIL: %0d words differ", wrong);
        else $display("PASS: %0d accesses", accesses);
        $finish;
    end
endmodule
