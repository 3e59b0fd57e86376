// Phones bring tokens; the account is there, its topic is not; all times at their maximum; the operator has a role already;
// the account takes no public traffic; where the case stands is an extra setting.
using '../main.bicep'

param environmentName = 'tokens'
param location = 'northeurope'
param existingStorageAccountName = 'theirimages'
param existingStorageResourceGroup = 'rg-theirs'
param operatorPrincipalId = '11111111-1111-1111-1111-111111111111'
param operatorRoles = ['tables', 'quarantine', 'deadLetters']
param vnetEnabled = true
param vnetAddressPrefix = '172.16.0.0/20'
param queuedFolder = 'images/queued'
param inputFolder = 'images/input'
param outputFolder = 'images/done'
param authMode = 'jwt'
param jwtIssuer = 'https://login.example.com/'
param jwtAudience = 'first-client,second-client'
param jwtAudienceClaim = 'client_id'
param jwtRequiredClaims = 'token_use=access,scope=counts.read'
param jwtCasesClaim = 'cases'
param caseUnknown = 'not-found'
param jwtAlgorithms = 'RS256,ES256'
param maxWaitSeconds = 200
param maxStreamSeconds = 480
param reconcileSliceSeconds = 540
param extraSettings = { CASE_FROM: '^case-([0-9]+)/' }
