"""What the papers do, as pure functions: `make_x(config)` gives init, step and measure."""
