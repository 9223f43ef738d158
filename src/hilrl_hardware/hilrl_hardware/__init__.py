"""The SO-101 on its Feetech bus: follower and leader, calibration, an emulated bus."""
