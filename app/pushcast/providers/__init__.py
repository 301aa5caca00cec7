"""Push providers behind one port: each folder renders, sends and judges for one vendor."""
