"""LeRobotDataset v3 folders: written, read and imported without LeRobot itself."""
