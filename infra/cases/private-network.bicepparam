// The accounts are reached from one network only.
using '../main.bicep'

param environmentName = 'private'
param location = 'northeurope'
param vnetEnabled = true
