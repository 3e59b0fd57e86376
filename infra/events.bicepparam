// What infra/hooks/postdeploy deploys. azd hands it the outputs of main.bicep as environment variables.
using 'events.bicep'

param topicName = readEnvironmentVariable('TOPIC_NAME')
param appResourceGroup = readEnvironmentVariable('APP_RESOURCE_GROUP')
param appName = readEnvironmentVariable('APP_NAME')
param storageResourceGroup = readEnvironmentVariable('STORAGE_RESOURCE_GROUP')
param storageAccountName = readEnvironmentVariable('STORAGE_ACCOUNT')
param deadLetterContainer = readEnvironmentVariable('DEAD_LETTER_CONTAINER')
param eventSubscription = readEnvironmentVariable('EVENT_SUBSCRIPTION')
param topicIdentityId = readEnvironmentVariable('TOPIC_IDENTITY_ID')
param preferredBatchSizeInKilobytes = int(readEnvironmentVariable('EVENT_BATCH_KILOBYTES'))
param queuedFolder = readEnvironmentVariable('QUEUED_FOLDER')
param inputFolder = readEnvironmentVariable('INPUT_FOLDER')
param outputFolder = readEnvironmentVariable('OUTPUT_FOLDER')
param extraFolders = readEnvironmentVariable('EXTRA_FOLDERS')
