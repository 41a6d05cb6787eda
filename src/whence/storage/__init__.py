"""Files that are whole or absent: bytes, JSON, tensors; they know no model."""
