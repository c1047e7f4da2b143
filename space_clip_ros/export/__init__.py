"""One self-contained ONNX graph out of a trained model."""
