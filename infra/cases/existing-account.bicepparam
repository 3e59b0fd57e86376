// Account and topic are there, in resource groups of their own; folders are nested.
using '../main.bicep'

param environmentName = 'first'
param location = 'northeurope'
param existingStorageAccountName = 'theirimages'
param existingStorageResourceGroup = 'rg-theirs'
param existingSystemTopicName = 'their-topic'
param existingSystemTopicResourceGroup = 'rg-their-topics'
param operatorPrincipalId = '11111111-1111-1111-1111-111111111111'
param queuedFolder = 'images/queued'
param inputFolder = 'images/in/process'
param outputFolder = 'archive'
