"""The training loop, checkpoints, log, schedules, stopping and several devices."""
