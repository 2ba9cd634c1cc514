// A board in simulation: its clock runs in bursts, between which bytes of the line come and go.
//
// To each change of `go`, rx_count bytes of rx_bytes (the first in the lowest bits) join those on
// their way to the board, and the clock runs for `burst` cycles, or until the board has sent the
// byte that ends a frame, or all that fits into tx_bytes. Then `finished` changes; tx_count bytes
// of tx_bytes came from the board, and `waiting` are still on their way to it.
//
// CELOSIA_BULK hands bytes over as they are. Otherwise they travel over the UART's wires,
// CELOSIA_BIT cycles a bit.
module board_harness (
    input wire go,
    input wire [31:0] burst,
    input wire [8*`CELOSIA_BYTES-1:0] rx_bytes,
    input wire [15:0] rx_count,
    output reg finished,
    output reg [8*`CELOSIA_BYTES-1:0] tx_bytes,
    output reg [15:0] tx_count,
    output reg [31:0] waiting,
    output reg [63:0] cycles
);
    reg clk = 0;
    reg rst = 1;
    reg running = 0;
    always #1 if (running) clk = ~clk;

    reg [7:0] queue [0:65535];
    reg [15:0] first = 0;
    reg [15:0] last = 0;
    integer i;
    reg [31:0] left;

    reg [7:0] sent;
    reg sent_valid;

    initial begin
        finished = 0;
        tx_count = 0;
        waiting = 0;
        cycles = 0;
    end

    always @(go) begin
        for (i = 0; i < rx_count; i = i + 1) begin
            queue[last] = rx_bytes[8*i +: 8];
            last = last + 1;
        end
        tx_count = 0;
        left = burst;
        running = 1;
    end

    task automatic take(input [7:0] value);
        tx_bytes[8*tx_count +: 8] = value;
        tx_count = tx_count + 1;
        if (value == 0 || tx_count == `CELOSIA_BYTES) left = 1;
    endtask

`ifdef CELOSIA_BULK
    reg rx_valid = 0;
    reg [7:0] rx_payload;
    wire rx_ready, tx_valid;
    wire [7:0] tx_payload;
    celosia_board board (
        .clk(clk), .rst(rst),
        .rx__valid(rx_valid), .rx__ready(rx_ready), .rx__payload(rx_payload),
        .tx__valid(tx_valid), .tx__ready(1'b1), .tx__payload(tx_payload)
    );
    task automatic line();
        if (tx_valid) take(tx_payload);
        if (!rx_valid || rx_ready) begin
            rx_valid <= first != last;
            rx_payload <= queue[first];
            if (first != last) first = first + 1;
        end
    endtask
`else
    localparam BIT = `CELOSIA_BIT;
    reg rx = 1;
    wire tx;
    celosia_board board (.clk(clk), .rst(rst), .rx(rx), .tx(tx));
    reg [8:0] rx_bits;
    reg [3:0] rx_left = 0, tx_left = 0;
    reg [3:0] rx_phase = 0, tx_phase = 0;
    reg [7:0] tx_bits;
    task automatic line();
        if (rx_phase != 0) rx_phase <= rx_phase - 1;
        else if (rx_left != 0) begin
            rx <= rx_bits[0];
            rx_bits <= {1'b1, rx_bits[8:1]};
            rx_left <= rx_left - 1;
            rx_phase <= BIT - 1;
        end else if (first != last) begin
            rx <= 0;
            rx_bits <= {1'b1, queue[first]};
            first = first + 1;
            rx_left <= 9;
            rx_phase <= BIT - 1;
        end
        if (tx_left == 0) begin
            if (!tx) begin
                tx_left <= 10;
                tx_phase <= BIT + BIT / 2 - 1;
            end
        end else if (tx_phase != 0) tx_phase <= tx_phase - 1;
        else begin
            // The middle of a bit: eight of the byte, then the stop bit.
            tx_phase <= BIT - 1;
            tx_left <= tx_left - 1;
            if (tx_left > 2) tx_bits <= {tx, tx_bits[7:1]};
            else begin
                tx_left <= 0;
                if (tx) take(tx_bits);
            end
        end
    endtask
`endif

    always @(posedge clk) begin
        cycles <= cycles + 1;
        rst <= 0;
        left = left - 1;
        if (!rst) line();
        if (left == 0) begin
            running = 0;
            waiting <= {16'd0, last - first};
            finished <= ~finished;
        end
    end
endmodule
