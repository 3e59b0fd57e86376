"""The only room that imports the SDKs: one port a file, and every error of theirs translated."""
