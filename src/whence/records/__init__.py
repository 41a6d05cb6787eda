"""What crosses from stage to stage: frozen records without a model."""
