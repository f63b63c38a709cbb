"""Engines that run published foundation models from a hub id or a local folder."""
