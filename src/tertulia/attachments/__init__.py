"""Attachments: the inspection of images and documents, and their transfer to Claude."""
