"""TensorRT engines and the CUDA calls they need."""
