"""Models for other people: a folder with a card, and the Hugging Face Hub."""
