// Drives an NPU's host bus from a file, with a clock of its own, so that no Python runs in between.
//
// The file named by +commands holds big-endian 32-bit words:
//   1 ADDRESS COUNT DATA...        write COUNT words from ADDRESS on
//   2 ADDRESS COUNT                read COUNT words; each goes to the file named by +answers, in hex
//   3 ADDRESS MASK LIMIT COUNT     read ADDRESS until a bit of MASK is set, for at most LIMIT cycles;
//                                  past the limit read COUNT words from address 0 on, and end
//   4                              the number of this clock cycle goes to +answers; takes no cycle
//   5                              answers so far go to the file; takes no cycle
//   0                              end
// It may be a pipe: the clock stands still until the next words have come, and its end is an end.
module npu_harness (
    input wire go,
    output reg finished,
    output reg timed_out,
    output reg [63:0] cycles
);
    reg clk = 0;
    reg rst = 1;
    reg running = 0;
`ifdef DOUBLE_CLOCK
    // Both clocks change in one statement: where they rise together, neither comes first.
    reg double_clk = 0;
    always #0.5 if (running) {clk, double_clk} = {clk, double_clk} - 2'd1;
`else
    always #1 if (running) clk = ~clk;
`endif

    reg request_valid = 0;
    wire request_ready;
    reg request_write;
    reg [31:0] request_address;
    reg [31:0] request_data;
    wire response_valid;
    wire [31:0] response_data;

    celosia_npu npu (
        .clk(clk),
        .rst(rst),
`ifdef DOUBLE_CLOCK
        .double_clk(double_clk),
        .double_rst(1'b0),
`endif
        .request__valid(request_valid),
        .request__ready(request_ready),
        .request__payload({request_data, request_address, request_write}),
        .response__valid(response_valid),
        .response__ready(1'b1),
        .response__payload(response_data)
    );

    localparam END = 0, WRITE = 1, READ = 2, POLL = 3, STAMP = 4, FLUSH = 5, NEXT = 6;
    integer commands, answers;
    reg [8*1024-1:0] path;
    reg [2:0] mode = NEXT;
    reg [31:0] left;
    reg [31:0] awaited;
    reg [31:0] mask;
    reg [31:0] limit;
    reg [31:0] state_words;
    reg [31:0] word;

    function automatic [31:0] next_word();
        integer got;
        got = $fread(word, commands);
        next_word = got == 4 ? word : 32'd0;
    endfunction

    initial begin
        finished = 0;
        timed_out = 0;
        cycles = 0;
        if (!$value$plusargs("commands=%s", path)) $fatal(1, "no +commands");
        commands = $fopen(path, "rb");
        if (commands == 0) $fatal(1, "can't open the commands");
        if (!$value$plusargs("answers=%s", path)) $fatal(1, "no +answers");
        answers = $fopen(path, "wb");
        if (answers == 0) $fatal(1, "can't open the answers");
        wait (go);
        running = 1;
    end

    task automatic fetch();
        mode = next_word();
        while (mode == STAMP || mode == FLUSH) begin
            if (mode == FLUSH) $fflush(answers);
            else $fwrite(answers, "%08x\n", cycles[31:0]);
            mode = next_word();
        end
        case (mode)
            WRITE: begin
                request_address <= next_word();
                left = next_word();
                request_write <= 1;
                request_data <= next_word();
                request_valid <= 1;
            end
            READ: begin
                request_address <= next_word();
                left = next_word();
                awaited = left;
                request_write <= 0;
                request_valid <= 1;
            end
            POLL: begin
                request_address <= next_word();
                mask = next_word();
                limit = next_word();
                state_words = next_word();
                request_write <= 0;
                request_valid <= 1;
            end
            default: begin
                $fclose(answers);
                $fclose(commands);
                running = 0;
                finished <= 1;
            end
        endcase
    endtask

    always @(posedge clk) begin
        cycles <= cycles + 1;
        rst <= 0;
        if (!rst) begin
            if (limit != 0) limit = limit - 1;
            case (mode)
                NEXT: fetch();
                WRITE: if (request_ready) begin
                    left = left - 1;
                    request_address <= request_address + 4;
                    if (left == 0) begin
                        request_valid <= 0;
                        mode = NEXT;
                    end else request_data <= next_word();
                end
                READ: begin
                    if (request_valid && request_ready) begin
                        left = left - 1;
                        request_address <= request_address + 4;
                        if (left == 0) request_valid <= 0;
                    end
                    if (response_valid) begin
                        $fwrite(answers, "%08x\n", response_data);
                        awaited = awaited - 1;
                        if (awaited == 0) begin
                            if (timed_out) begin
                                $fclose(answers);
                                running = 0;
                                finished <= 1;
                            end
                            mode = NEXT;
                        end
                    end
                end
                POLL: begin
                    if (request_valid && request_ready) request_valid <= 0;
                    if (response_valid) begin
                        if ((response_data & mask) != 0) mode = NEXT;
                        else if (limit == 0) begin
                            timed_out <= 1;
                            mode = READ;
                            request_address <= 0;
                            left = state_words;
                            awaited = left;
                            request_valid <= 1;
                        end else request_valid <= 1;
                    end
                end
                default: ;
            endcase
        end
    end
endmodule
