// A data lake that keeps deleted blobs; folders with slashes at the end and twice in a row, and blanks around them.
using '../main.bicep'

param environmentName = 'lake'
param location = 'northeurope'
param existingStorageAccountName = 'theirlake'
param existingStorageResourceGroup = 'rg-lake'
param verifyDeletes = true
param queuedFolder = 'images/a/b/queued/'
param inputFolder = 'images//input'
param outputFolder = ' archive/2026/ '
