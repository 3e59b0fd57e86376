// Nothing is there yet, and nothing is asked for.
using '../main.bicep'

param environmentName = 'new'
param location = 'northeurope'
