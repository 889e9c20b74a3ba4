"""Where arrays lie and how fast they are computed with: meshes, and forms that are fast."""
