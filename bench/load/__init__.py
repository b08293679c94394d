"""The clients that send messages, follow answers and measure."""
