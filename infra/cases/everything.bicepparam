// Every option that a new account can have.
using '../main.bicep'

param environmentName = 'everything'
param location = 'northeurope'
param queuedFolder = 'a-b/x/y'
param inputFolder = 'other/z/'
param outputFolder = '$web/img'
param extraFolders = 'failed=failed, review = a-b/review/,'
param caseFrom = 'first-segment'
param caseUnknown = 'not-found'
param imageSuffixes = 'jpg,png'
param authenticationClientId = '22222222-2222-2222-2222-222222222222'
param authenticationIssuer = 'https://login.example.com/v2.0'
param clientCertRequired = true
param corsOrigins = 'https://app.example.com'
param operatorPrincipalId = '11111111-1111-1111-1111-111111111111'
param operatorPrincipalType = 'Group'
param alertEmail = 'operator@example.com'
param statusTopicName = 'status'
param statusTopicResourceGroup = 'rg-theirs'
param alwaysReadyHttp = 1
param alwaysReadyEvents = 1
param instanceMemoryMB = 4096
param maximumInstanceCount = 100
param siteUpdateStrategy = 'RollingUpdate'
param softDeleteDays = 30
param dailyQuotaGb = 2
param monthlyBudget = 200
param budgetStart = '2026-01-01'
param vnetEnabled = true
param extraSettings = { POLL_INTERVAL_SECONDS: '2' }
