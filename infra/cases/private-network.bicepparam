// The accounts are reached from one network only; processes are small; on-call looks and changes nothing.
using '../main.bicep'

param environmentName = 'private'
param location = 'northeurope'
param vnetEnabled = true
param instanceMemoryMB = 512
param operatorPrincipalId = '22222222-2222-2222-2222-222222222222'
param operatorPrincipalType = 'Group'
param operatorRoles = ['blobs', 'readTables']
