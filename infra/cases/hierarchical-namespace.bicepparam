// A data lake that keeps deleted blobs, with a topic that has an identity of its own; folders with slashes at the end and twice in a row, and blanks around them.
using '../main.bicep'

param environmentName = 'lake'
param location = 'northeurope'
param existingStorageAccountName = 'theirlake'
param existingStorageResourceGroup = 'rg-lake'
param existingSystemTopicName = 'lake-topic'
param existingSystemTopicIdentityId = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-lake/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-topic'
param verifyDeletes = true
param queuedFolder = 'images/a/b/queued/'
param inputFolder = 'images//input'
param outputFolder = ' archive/2026/ '
