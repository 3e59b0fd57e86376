// A data lake that keeps deleted blobs, with a topic that has an identity of its own; folders with slashes at the end and twice in a row, and blanks around them.
// Processes are small; on-call looks and changes nothing.
using '../main.bicep'

param environmentName = 'lake'
param location = 'northeurope'
param existingStorageAccountName = 'theirlake'
param existingStorageResourceGroup = 'rg-lake'
param existingSystemTopicName = 'lake-topic'
param existingSystemTopicIdentityId = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-lake/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-topic'
param verifyDeletes = true
param instanceMemoryMB = 512
param operatorPrincipalId = '22222222-2222-2222-2222-222222222222'
param operatorPrincipalType = 'Group'
param operatorRoles = ['blobs', 'readTables']
param queuedFolder = 'images/a/b/queued/'
param inputFolder = 'images//input'
param outputFolder = ' archive/2026/ '
