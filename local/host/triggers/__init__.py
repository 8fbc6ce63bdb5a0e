"""What makes a function run: queues, timers and HTTP requests."""
