// Everything but the event subscriptions, which need the function to be there: events.bicep, after the code.
// docs/deployment.md explains each parameter.
targetScope = 'subscription'

import { operatorRole } from 'app/types.bicep'

@description('Name of the azd environment; names of resources derive from it.')
@minLength(1)
@maxLength(40)
param environmentName string

@description('Region of everything that is made here; it must offer Flex Consumption.')
@metadata({ azd: { type: 'location' } })
param location string

@description('Storage account that holds the images already, in this subscription; empty: one is made.')
@maxLength(24)
param existingStorageAccountName string = ''

@description('Resource group of the existing storage account; empty: the one that is made here.')
param existingStorageResourceGroup string = ''

@description('System topic that the existing account has already (an account can have one only); empty: one is made.')
param existingSystemTopicName string = ''

@description('Resource group of the existing system topic; empty: that of the storage account.')
param existingSystemTopicResourceGroup string = ''

@description('Resource id of the topic\'s user-assigned identity that writes dead letters; empty: its system-assigned one.')
param existingSystemTopicIdentityId string = ''

@description('Where waiting images are: a container, or container/prefix.')
@minLength(1)
param queuedFolder string = 'queued'

@description('Where images being processed are.')
@minLength(1)
param inputFolder string = 'input'

@description('Where finished images are.')
@minLength(1)
param outputFolder string = 'output'

@description('Further places that are counted: name=container or name=container/prefix, separated by commas.')
param extraFolders string = ''

@description('Where the case of an image stands in its name, if cases are counted: first-segment, or a regular expression.')
param caseFrom string = ''

@description('What is answered for a case of which nothing was ever counted.')
@allowed(['zeros', 'not-found'])
param caseUnknown string = 'zeros'

@description('Which names count: endings without the dot, separated by commas; empty: the app\'s default list.')
param imageSuffixes string = ''

@description('Look at a blob before its deletion is counted: set it where versioning or snapshots are on.')
param verifyDeletes bool = false

@description('Days for which deleted and overwritten images of an account that is made here can be restored.')
@minValue(1)
@maxValue(365)
param softDeleteDays int = 7

@description('Container of events that could not be understood, outside of all folders. Empty: one of this environment.')
param quarantineContainer string = ''

@description('Days for which events stay there. Then they are dropped.')
@minValue(1)
@maxValue(36500)
param quarantineRetentionDays int = 90

@description('Container of events that could not be delivered, outside of all folders. Empty: one of this environment.')
param deadLetterContainer string = ''

@description('Days after which an account that is made here drops events that could not be delivered.')
@minValue(1)
@maxValue(36500)
param deadLetterRetentionDays int = 90

@description('Who may ask for the counts.')
@allowed(['anonymous', 'function', 'jwt'])
param authMode string = 'function'

@description('With jwt: the token\'s iss.')
param jwtIssuer string = ''

@description('With jwt: whom a token must be for, separated by commas.')
param jwtAudience string = ''

@description('With jwt: the claim that says whom a token is for.')
param jwtAudienceClaim string = 'aud'

@description('With jwt: what a token must say besides, claim=value separated by commas.')
param jwtRequiredClaims string = ''

@description('With jwt: the claim that says which cases a token permits. Empty: each permits all.')
param jwtCasesClaim string = ''

@description('With jwt: where the issuer publishes its keys. Empty: its discovery document says where.')
param jwtJwksUrl string = ''

@description('With jwt: accepted signatures, separated by commas.')
param jwtAlgorithms string = 'RS256'

@description('App Service Authentication asks for tokens of this Microsoft Entra application (its client id). Empty: it is off.')
param authenticationClientId string = ''

@description('With authenticationClientId: who issues the tokens. Empty: the tenant of the subscription.')
param authenticationIssuer string = ''

@description('The platform asks each client for a certificate, and looks no further than whether there is one.')
param clientCertRequired bool = false

@description('Browser origins that may read the answers, separated by commas.')
param corsOrigins string = ''

@description('Longest hold of a long poll. With the next two it must stay below functionTimeout in host.json.')
@minValue(1)
@maxValue(200)
param maxWaitSeconds int = 60

@description('Longest life of a stream.')
@minValue(1)
@maxValue(480)
param maxStreamSeconds int = 180

@description('Longest work of one scheduled reconciliation; the next one goes on.')
@minValue(10)
@maxValue(540)
param reconcileSliceSeconds int = 420

@description('When the containers are listed: NCRONTAB with seconds, UTC.')
param reconcileSchedule string = '0 */15 * * * *'

@description('Requests that one instance holds at a time. Parked waiters cost memory, not money: see docs/deployment.md.')
@minValue(1)
@maxValue(1000)
param httpConcurrency int = 1000

@description('Clients that the app holds on an instance. Not below httpConcurrency, or it refuses before the platform scales.')
@minValue(1)
@maxValue(100000)
param maxWaiters int = 1200

@description('Instances for HTTP that never go. 0: the first request after a quiet time waits for a cold start.')
@minValue(0)
param alwaysReadyHttp int = 0

@description('Instances for events that never go. 0: the first event after a quiet time waits for a cold start.')
@minValue(0)
param alwaysReadyEvents int = 0

@description('Upper bound of instances, for each scale group.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Memory of an instance; processors come in proportion. 512: docs/deployment.md says what speaks against it.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('What happens to running instances when code or settings change: stopped all at once, or drained in batches (preview).')
@allowed(['Recreate', 'RollingUpdate'])
param siteUpdateStrategy string = 'Recreate'

@description('Accounts that are made here, and the one that is there, are reached through private endpoints only.')
param vnetEnabled bool = false

@description('With vnetEnabled: address space of the network, /22 or larger.')
param vnetAddressPrefix string = '10.42.0.0/22'

@description('Settings of docs/configuration.md that have no parameter of their own, by name.')
param extraSettings { *: string } = {}

@description('Custom Event Grid topic that changes of the counts are announced to; it exists. Empty: they are not.')
param statusTopicName string = ''

@description('Resource group of that topic; empty: the one that is made here.')
param statusTopicResourceGroup string = ''

@description('Who gets the alerts by e-mail; empty: they show in the portal only.')
param alertEmail string = ''

@description('Alert when no reconciliation has been completed for so long.')
@allowed(['PT1H', 'PT2H', 'PT3H', 'PT6H', 'P1D', 'P2D'])
param alertWithoutReconciliation string = 'PT2H'

@description('GB of telemetry a day, after which none is taken, and no alert sees anything, until the next day; 0: no bound.')
@minValue(0)
param dailyQuotaGb int = 0

@description('Tell when the costs of the resource group come near so much a month, in the currency of the bill; 0: do not.')
@minValue(0)
param monthlyBudget int = 0

@description('The first of the month in which the budget begins.')
param budgetStart string = utcNow('yyyy-MM-01')

@description('Object id of who runs `python -m ops`; empty: nobody gets data roles.')
param operatorPrincipalId string = ''

@description('What the operator is.')
@allowed(['User', 'Group', 'ServicePrincipal'])
param operatorPrincipalType string = 'User'

@description('Which roles the operator gets. One that he has on that scope already must be left out, or Azure refuses it.')
param operatorRoles operatorRole[] = ['blobs', 'tables', 'quarantine', 'deadLetters']

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }
var groupName = 'rg-${environmentName}'
var functionAppName = 'func-${token}'
// On an account that is there already each environment has names of its own: two do not touch.
var countsTable = extraSettings.?COUNTS_TABLE ?? 'blobstatus${token}'
var quarantineName = empty(quarantineContainer) ? 'blob-status-quarantine-${token}' : quarantineContainer
var deadLetterName = empty(deadLetterContainer) ? 'blob-status-dead-letters-${token}' : deadLetterContainer
var eventSubscription = 'blob-status-${token}'
var extraLocations = map(filter(split(extraFolders, ','), each => contains(each, '=')), each => split(each, '=')[1])
var containers = map(
  concat([queuedFolder, inputFolder, outputFolder], extraLocations),
  folder => first(split(trim(folder), '/'))
)
var usesExistingStorage = !empty(existingStorageAccountName)
var storageName = usesExistingStorage ? existingStorageAccountName : 'stimages${token}'
var storageGroupName = usesExistingStorage && !empty(existingStorageResourceGroup)
  ? existingStorageResourceGroup
  : groupName
var usesExistingTopic = !empty(existingSystemTopicName)
var topicName = usesExistingTopic ? existingSystemTopicName : 'evgt-${token}'
var topicGroupName = usesExistingTopic && !empty(existingSystemTopicResourceGroup)
  ? existingSystemTopicResourceGroup
  : storageGroupName

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: groupName
  location: location
  tags: tags
}

module identity 'app/identity.bicep' = {
  scope: group
  params: {
    name: 'id-${token}'
    location: location
    tags: tags
  }
}

module monitoring 'app/monitoring.bicep' = {
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    publisherPrincipalId: identity.outputs.principalId
    instanceMemoryMB: instanceMemoryMB
    dailyQuotaGb: dailyQuotaGb
  }
}

module hostStorage 'app/host-storage.bicep' = {
  scope: group
  params: {
    name: 'sthost${token}'
    location: location
    tags: tags
    isPrivate: vnetEnabled
    principalId: identity.outputs.principalId
  }
}

module storage 'app/data-storage.bicep' = if (!usesExistingStorage) {
  scope: group
  params: {
    name: storageName
    location: location
    tags: tags
    isPrivate: vnetEnabled
    softDeleteDays: softDeleteDays
    retentionDays: { '${quarantineName}': quarantineRetentionDays + 1, '${deadLetterName}': deadLetterRetentionDays }
    containers: reduce(containers, [], (found, each) => union(found, [each])) // each once
  }
}

module appAccess 'app/data-access.bicep' = {
  scope: resourceGroup(storageGroupName)
  dependsOn: [storage]
  params: {
    storageAccountName: storageName
    quarantineContainer: quarantineName
    roles: ['blobs', 'tables', 'quarantine']
    principalId: identity.outputs.principalId
    principalType: 'ServicePrincipal'
  }
}

module operatorAccess 'app/data-access.bicep' = if (!empty(operatorPrincipalId)) {
  scope: resourceGroup(storageGroupName)
  dependsOn: [appAccess]
  params: {
    storageAccountName: storageName
    quarantineContainer: quarantineName
    roles: operatorRoles
    principalId: operatorPrincipalId
    principalType: operatorPrincipalType
  }
}

module topic 'app/topic.bicep' = if (!usesExistingTopic) {
  scope: resourceGroup(topicGroupName)
  params: {
    name: topicName
    location: appAccess.outputs.storageLocation
    tags: tags
    storageId: appAccess.outputs.storageId
    workspaceId: monitoring.outputs.workspaceId
  }
}

module topicIdentity 'app/topic-identity.bicep' = {
  scope: resourceGroup(topicGroupName)
  dependsOn: [topic]
  params: {
    topicName: topicName
    identityId: existingSystemTopicIdentityId
  }
}

module deadLetters 'app/dead-letters.bicep' = {
  scope: resourceGroup(storageGroupName)
  dependsOn: [storage]
  params: {
    storageAccountName: storageName
    container: deadLetterName
    topicPrincipalId: topicIdentity.outputs.principalId
    operatorPrincipalId: contains(operatorRoles, 'deadLetters') ? operatorPrincipalId : ''
    operatorPrincipalType: operatorPrincipalType
  }
}

module statusTopic 'app/status-topic.bicep' = if (!empty(statusTopicName)) {
  scope: resourceGroup(empty(statusTopicResourceGroup) ? groupName : statusTopicResourceGroup)
  params: {
    topicName: statusTopicName
    principalId: identity.outputs.principalId
  }
}

module network 'app/network.bicep' = if (vnetEnabled) {
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    addressPrefix: vnetAddressPrefix
    accounts: [
      { name: hostStorage.outputs.name, id: hostStorage.outputs.id }
      { name: storageName, id: appAccess.outputs.storageId }
    ]
  }
}

// The app's own settings.
var settings = union(
  {
    STORAGE__blobServiceUri: 'https://${storageName}.blob.${environment().suffixes.storage}'
    STORAGE__tableServiceUri: 'https://${storageName}.table.${environment().suffixes.storage}'
    STORAGE__clientId: identity.outputs.clientId
    EVENT_TOPICS: appAccess.outputs.storageId
    QUEUED_FOLDER: queuedFolder
    INPUT_FOLDER: inputFolder
    OUTPUT_FOLDER: outputFolder
    EXTRA_FOLDERS: extraFolders
    CASE_FROM: caseFrom
    CASE_UNKNOWN: caseUnknown
    IMAGE_SUFFIXES: imageSuffixes
    VERIFY_DELETES: string(verifyDeletes)
    COUNTS_TABLE: countsTable
    QUARANTINE_CONTAINER: quarantineName
    QUARANTINE_RETENTION_DAYS: string(quarantineRetentionDays)
    AUTH_MODE: authMode
    JWT_ISSUER: jwtIssuer
    JWT_AUDIENCE: jwtAudience
    JWT_AUDIENCE_CLAIM: jwtAudienceClaim
    JWT_REQUIRED_CLAIMS: jwtRequiredClaims
    JWT_CASES_CLAIM: jwtCasesClaim
    JWT_JWKS_URL: jwtJwksUrl
    JWT_ALGORITHMS: jwtAlgorithms
    CORS_ORIGINS: corsOrigins
    MAX_WAIT_SECONDS: string(maxWaitSeconds)
    MAX_STREAM_SECONDS: string(maxStreamSeconds)
    MAX_WAITERS: string(maxWaiters)
    STATUS_TOPIC_ENDPOINT: !empty(statusTopicName) ? statusTopic!.outputs.endpoint : ''
    RECONCILE_SCHEDULE: reconcileSchedule
    RECONCILE_SLICE_SECONDS: string(reconcileSliceSeconds)
    // Instances come and go: the timer reconciles, and the step after the deployment starts the first one.
    RECONCILE_ON_START: 'false'
  },
  extraSettings
)

module app 'app/function-app.bicep' = {
  scope: group
  params: {
    name: functionAppName
    planName: 'plan-${token}'
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    hostStorageName: hostStorage.outputs.name
    deploymentContainerUrl: hostStorage.outputs.deploymentContainerUrl
    monitoringConnectionString: monitoring.outputs.connectionString
    httpConcurrency: httpConcurrency
    alwaysReadyHttp: alwaysReadyHttp
    alwaysReadyEvents: alwaysReadyEvents
    maximumInstanceCount: maximumInstanceCount
    instanceMemoryMB: instanceMemoryMB
    siteUpdateStrategy: siteUpdateStrategy
    authenticationClientId: authenticationClientId
    authenticationIssuer: authenticationIssuer
    clientCertRequired: clientCertRequired
    subnetId: vnetEnabled ? network!.outputs.appSubnetId : ''
    settings: settings
  }
}

module alerts 'app/alerts.bicep' = {
  scope: group
  dependsOn: [topic, app]
  params: {
    location: location
    tags: tags
    appId: resourceId(subscription().subscriptionId, groupName, 'Microsoft.Web/sites', functionAppName)
    instanceMemoryMB: instanceMemoryMB
    workspaceId: monitoring.outputs.workspaceId
    topicId: resourceId(subscription().subscriptionId, topicGroupName, 'Microsoft.EventGrid/systemTopics', topicName)
    eventSubscriptions: [eventSubscription, '${eventSubscription}-moves']
    email: alertEmail
    withoutReconciliation: alertWithoutReconciliation
  }
}

module budget 'app/budget.bicep' = if (monthlyBudget > 0) {
  scope: group
  params: {
    name: 'budget-${token}'
    amount: monthlyBudget
    startDate: budgetStart
    email: alertEmail
  }
}

// What infra/hooks/postdeploy hands to events.bicep; azd keeps outputs as environment variables.
output APP_RESOURCE_GROUP string = groupName
output APP_NAME string = functionAppName
output APP_URL string = app.outputs.url
output TOPIC_RESOURCE_GROUP string = topicGroupName
output TOPIC_NAME string = topicName
output STORAGE_RESOURCE_GROUP string = storageGroupName
output STORAGE_ACCOUNT string = storageName
output COUNTS_TABLE string = countsTable
output QUARANTINE_CONTAINER string = quarantineName
output DEAD_LETTER_CONTAINER string = deadLetterName
output EVENT_SUBSCRIPTION string = eventSubscription
// With excluded paths the platform renegotiates TLS, and then answers 403 to a POST above 100 KB, which Event Grid does
// not send again: https://learn.microsoft.com/azure/app-service/app-service-web-configure-tls-mutual-auth
output EVENT_BATCH_KILOBYTES string = clientCertRequired ? '64' : '128'
output TOPIC_IDENTITY_ID string = existingSystemTopicIdentityId
output QUEUED_FOLDER string = queuedFolder
output INPUT_FOLDER string = inputFolder
output OUTPUT_FOLDER string = outputFolder
output EXTRA_FOLDERS string = extraFolders
// What else `python -m ops` has to know as the app does. What is asked for by a variable of the same name is put out as
// it was given, or azd would hand an extra setting back as the parameter.
output CASE_FROM string = caseFrom
output IMAGE_SUFFIXES string = imageSuffixes
output EVENT_TOPICS string = settings.EVENT_TOPICS
output VERIFY_DELETES string = settings.VERIFY_DELETES
output QUARANTINE_RETENTION_DAYS string = settings.QUARANTINE_RETENTION_DAYS
output STATUS_TOPIC_ENDPOINT string = settings.STATUS_TOPIC_ENDPOINT
