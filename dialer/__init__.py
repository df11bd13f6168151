"""The outbound loop, the schedule, the call file."""
