"""What people run around the product: bags, benchmarks, the demo, reports, the live view and the doctor."""
