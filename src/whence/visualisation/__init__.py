"""What units of a network look for: inputs that activate them most, made and found."""
