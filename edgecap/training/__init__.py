"""Training a captioner: batches, loss, phases, loop, checkpoint, curve."""
