@export()
@description('What a person may be given: `python -m ops` needs all of them, status and verify the first two.')
type operatorRole = 'blobs' | 'tables' | 'quarantine' | 'deadLetters'
