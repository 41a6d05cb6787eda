"""What the commands do once their options are checked: one file a command; these need torch."""
