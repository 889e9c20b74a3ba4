"""What a person looks at: sheets of pictures and the report page."""
