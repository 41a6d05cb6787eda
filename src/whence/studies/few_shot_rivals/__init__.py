"""Memory Wrap and votes against few-shot networks, twin systems and generated counterfactuals."""
