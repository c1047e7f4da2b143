"""What people run around the product: bags, benchmarks, the demo, reports and the live view."""
