"""One folder, one training: settings in, a run folder out, and back."""
