@export()
@description('What a person may be given: `python -m ops` needs the first four; to look, with status, watch and verify, blobs and readTables are enough.')
type operatorRole = 'blobs' | 'tables' | 'quarantine' | 'deadLetters' | 'readTables'
