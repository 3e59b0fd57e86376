// The same person counts the same account a second time: nothing of the first environment is touched.
using '../main.bicep'

param environmentName = 'second'
param location = 'northeurope'
param existingStorageAccountName = 'theirimages'
param existingStorageResourceGroup = 'rg-theirs'
param existingSystemTopicName = 'their-topic'
param existingSystemTopicResourceGroup = 'rg-their-topics'
param operatorPrincipalId = '11111111-1111-1111-1111-111111111111'
param queuedFolder = 'images/queued'
param inputFolder = 'images/in/process'
param outputFolder = 'archive'
