"""From slides to the tiles that training and cohort runs read."""
