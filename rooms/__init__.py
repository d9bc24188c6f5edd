"""What happens: the rules of an event. Pure: no I/O, no clock, no await; imports itself only."""
