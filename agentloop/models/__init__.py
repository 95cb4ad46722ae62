"""Chat models: over LiteLLM, over a checkpoint on this machine, and scripted."""
