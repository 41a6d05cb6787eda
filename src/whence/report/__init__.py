"""Records turned into what people read; never sees a model."""
