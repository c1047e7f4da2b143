"""Turns a trained model into one self-contained ONNX file, and such a file into a TensorRT engine."""
