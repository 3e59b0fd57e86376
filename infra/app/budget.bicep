// Says by e-mail when the resource group's costs approach or pass an amount. It stops nothing.
param name string

@description('A month, in the currency of the bill.')
param amount int

@description('The first of a month, not later than this one.')
param startDate string

@description('Who is told; empty: the owners of the subscription.')
param email string

var told = {
  enabled: true
  operator: 'GreaterThanOrEqualTo'
  contactEmails: empty(email) ? [] : [email]
  contactRoles: empty(email) ? ['Owner'] : []
}

resource budget 'Microsoft.Consumption/budgets@2024-08-01' = {
  name: name
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: { startDate: startDate }
    notifications: {
      half: { ...told, threshold: 50, thresholdType: 'Actual' }
      reached: { ...told, threshold: 100, thresholdType: 'Actual' }
      expected: { ...told, threshold: 100, thresholdType: 'Forecasted' }
    }
  }
}
